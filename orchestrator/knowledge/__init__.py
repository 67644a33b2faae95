"""What knowledge is kept in and made comparable with: stores and embedders behind the ports of `agents.knowledge`."""
