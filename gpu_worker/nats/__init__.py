"""A worker on another machine: the server's end of the connection to the broker."""
