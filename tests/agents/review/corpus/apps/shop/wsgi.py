"""Entry point of the shop: `python wsgi.py` locally, `gunicorn wsgi:app` on the server."""

import os

from shop import create_app

app = create_app()

if __name__ == "__main__":
    port = int(os.environ.get("PORT", "8000"))
    app.run(host="127.0.0.1", port=port, debug=True)
