"""How bot and remote workers speak over NATS: names of subjects, pieces of messages, the connection itself."""
