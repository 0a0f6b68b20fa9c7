"""Picture files: reading what strangers sent, writing what was drawn, infotext inside."""
