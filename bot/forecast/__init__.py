"""What would happen: who is paged at an instant, when nobody is, how a history of alerts would have gone. Pure."""
