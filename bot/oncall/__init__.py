"""Who answers for an alert, and who is on duty at an instant. Pure: files and clocks are elsewhere."""
