"""Router: picks, for every model call, who answers it, under a latency and a money limit."""
