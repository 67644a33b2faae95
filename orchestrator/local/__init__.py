"""Local models: one of our own in a child process, those that others serve on this network, what each can do."""
