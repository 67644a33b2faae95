from flask import Flask, jsonify, request
from sqlalchemy import create_engine, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

app = Flask(__name__)
engine = create_engine("sqlite:///library.db")


class Base(DeclarativeBase):
    pass


class Book(Base):
    __tablename__ = "books"
    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str]
    author: Mapped[str]


@app.get("/books")
def books():
    author = request.args["author"]
    statement = select(Book.title).where(Book.author.like(f"%{author}%")).limit(20)
    with Session(engine) as session:
        return jsonify(list(session.scalars(statement)))
