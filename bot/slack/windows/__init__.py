"""Windows behind the buttons and menus of messages: each presets everything, and re-checks what it was drawn from."""
