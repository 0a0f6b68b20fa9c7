"""The broker behind which machines join: its keys, certificate and configuration, and its process where it is ours."""
