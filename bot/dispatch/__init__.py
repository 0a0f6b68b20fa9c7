"""Which job runs next, where, and what happens when it ends: policy, dispatcher, transports, supervisor."""
