"""A small web shop: catalogue, accounts, orders and a back office."""

import logging

from flask import Flask, render_template

from shop import config
from shop.accounts import accounts
from shop.admin import admin
from shop.api import api
from shop.catalogue import catalogue
from shop.db import close_db
from shop.orders import orders
from shop.security import csrf_token

log = logging.getLogger(__name__)


def create_app(overrides: dict | None = None) -> Flask:
    app = Flask(__name__)
    app.config.from_object(config)
    if overrides:
        app.config.update(overrides)
    app.teardown_appcontext(close_db)
    app.jinja_env.globals["csrf_token"] = csrf_token
    for blueprint in (catalogue, accounts, orders, admin, api):
        app.register_blueprint(blueprint)

    @app.after_request
    def add_headers(response):
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["X-Frame-Options"] = "DENY"
        return response

    @app.errorhandler(404)
    def not_found(error):
        return render_template("error.html", title="Not found", message="There is no such page."), 404

    @app.errorhandler(500)
    def server_error(error):
        log.exception("unhandled error")
        return render_template("error.html", title="Error", message="Please try again later."), 500

    return app
