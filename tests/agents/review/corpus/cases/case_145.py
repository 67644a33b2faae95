import logging

import psycopg2
from flask import Blueprint, current_app, jsonify, request

bp = Blueprint("orders", __name__)
log = logging.getLogger(__name__)
SORTABLE = {"created", "total", "status"}


@bp.route("/orders")
def list_orders():
    order_by = request.args.get("sort", "created")
    if order_by not in SORTABLE:
        log.warning("unknown sort column")
        order_by = "created"
    sql = "SELECT id, total, status FROM orders ORDER BY " + order_by + " LIMIT 50"
    with psycopg2.connect(current_app.config["DSN"]) as conn, conn.cursor() as cur:
        cur.execute(sql)
        return jsonify(cur.fetchall())
