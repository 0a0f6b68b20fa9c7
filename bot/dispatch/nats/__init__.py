"""The bot's end of the connection to workers on other machines."""
