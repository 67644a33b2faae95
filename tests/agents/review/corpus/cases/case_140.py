import mysql.connector
from flask import Flask, jsonify, request

app = Flask(__name__)
pool = mysql.connector.pooling.MySQLConnectionPool(pool_size=4, database="blog", user="blog")


@app.post("/tags/articles")
def articles_by_tag():
    tags = request.form.getlist("tag")
    if not tags:
        return jsonify([])
    marks = ", ".join("%s" for _ in tags)
    conn = pool.get_connection()
    try:
        cursor = conn.cursor(dictionary=True)
        cursor.execute(f"SELECT article_id FROM article_tags WHERE tag IN ({marks})", tags)
        return jsonify(cursor.fetchall())
    finally:
        conn.close()
