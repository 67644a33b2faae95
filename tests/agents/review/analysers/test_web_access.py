"""Handlers are compared with their siblings: who asks who is calling, who looks whose an object is."""

from pathlib import Path

from agents.review.analysers.web import Web
from schemas.review import Hit


def hits_in(folder: Path, files: dict[str, str]) -> list[Hit]:
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    return list(Web().run("security", folder, tuple(files)).hits)


def names_in(folder: Path, files: dict[str, str], rule: str) -> list[int]:
    return [hit.line for hit in hits_in(folder, files) if hit.rule == rule]


MODELS = """from flask_sqlalchemy import SQLAlchemy
db = SQLAlchemy()
class Note(db.Model):
    id = db.Column(db.Integer)
    user_id = db.Column(db.Integer, db.ForeignKey("user.id"))
"""
FLASK = """from flask import Flask, request
from flask_login import login_required, current_user
from models import Note, db
from flask_wtf import CSRFProtect

@app.post("/notes")
@login_required
def add_note():
    db.session.add(Note(text=request.form["text"], user_id=current_user.id))
    db.session.commit()

@app.get("/notes")
@login_required
def own_notes():
    return render(Note.query.filter_by(user_id=current_user.id).all())

@app.post("/notes/<int:note_id>/delete")
def delete_note(note_id):
    Note.query.filter_by(id=note_id).delete()
    db.session.commit()

@app.post("/register")
def register():
    db.session.add(User(name=request.form["name"]))
    db.session.commit()

@app.get("/notes/<int:note_id>")
@login_required
def show_note(note_id):
    note = Note.query.get_or_404(note_id)
    return render(note)

@app.post("/notes/<int:note_id>")
@login_required
def edit_note(note_id):
    note = Note.query.get_or_404(note_id)
    if note.user_id != current_user.id:
        abort(403)
    note.text = request.form["text"]
    db.session.commit()
"""


def test_a_handler_without_the_check_of_its_siblings_is_found(tmp_path: Path) -> None:
    files = {"app.py": FLASK, "models.py": MODELS}
    assert names_in(tmp_path, files, "web-missing-authorisation") == [18]


def test_a_note_of_others_is_found_where_siblings_ask_for_the_owner(tmp_path: Path) -> None:
    files = {"app.py": FLASK, "models.py": MODELS}
    assert names_in(tmp_path, files, "web-foreign-object") == [30]


def test_where_nobody_is_asked_nothing_is_compared(tmp_path: Path) -> None:
    open_to_all = (
        FLASK.replace("@login_required\n", "").replace("current_user.id", "1").replace("abort(403)", "return")
    )
    assert [hit.rule for hit in hits_in(tmp_path, {"app.py": open_to_all, "models.py": MODELS})] == []


def test_a_check_before_all_requests_counts_for_all(tmp_path: Path) -> None:
    before = (
        "\n@app.before_request\ndef check():\n    if not current_user.is_authenticated:\n        abort(401)\n"
    )
    assert (
        names_in(tmp_path, {"app.py": FLASK + before, "models.py": MODELS}, "web-missing-authorisation") == []
    )


def test_a_decorator_of_the_project_is_a_guard_by_what_it_does(tmp_path: Path) -> None:
    deco = (
        "from functools import wraps\nfrom flask import session, redirect\n"
        "def members(view):\n    @wraps(view)\n    def inner(*a, **k):\n        if 'user' not in session:\n"
        "            return redirect('/')\n        return view(*a, **k)\n    return inner\n"
    )
    own = FLASK.replace("@login_required", "@members").replace(
        "from flask_login import login_required, current_user", "from deco import members"
    )
    files = {"app.py": own, "models.py": MODELS, "deco.py": deco}
    assert names_in(tmp_path, files, "web-missing-authorisation") == [18]


FASTAPI = """from fastapi import APIRouter, Depends
router = APIRouter()

@router.post("/items")
def add_item(item: Item, user: User = Depends(get_current_user), db=Depends(get_db)):
    db.add(item); db.commit()

@router.put("/items/{item_id}")
async def edit_item(item_id: int, user: CurrentUser, db=Depends(get_db)):
    db.commit()

@router.delete("/items/{item_id}")
async def delete_item(item_id: int, db=Depends(get_db)):
    db.delete(db.get(Item, item_id))
    db.commit()
"""


def test_dependencies_of_fastapi_are_guards(tmp_path: Path) -> None:
    assert names_in(tmp_path, {"api.py": FASTAPI}, "web-missing-authorisation") == [13]


def test_dependencies_of_a_router_guard_all_of_it(tmp_path: Path) -> None:
    guarded = FASTAPI.replace("APIRouter()", "APIRouter(dependencies=[Depends(check)])")
    assert names_in(tmp_path, {"api.py": guarded}, "web-missing-authorisation") == []


DJANGO = """from django.contrib.auth.decorators import login_required
from django.views.decorators.csrf import csrf_exempt
from django.shortcuts import render

@login_required
def add(request):
    Post.objects.create(text=request.POST["text"])
    return render(request, "a.html")

@login_required
def edit(request, pk):
    Post.objects.filter(pk=pk, author=request.user).update(text=request.POST["text"])
    return render(request, "a.html")

@csrf_exempt
def remove(request, pk):
    Post.objects.get(pk=pk).delete()
    return render(request, "a.html", request.POST)

@csrf_exempt
def stripe_webhook(request):
    Payment.objects.create(data=request.POST)
    return render(request, "a.html")
"""


def test_views_of_django_are_handlers(tmp_path: Path) -> None:
    rules = {(hit.rule, hit.line) for hit in hits_in(tmp_path, {"views.py": DJANGO})}
    assert rules == {("web-missing-authorisation", 16), ("web-csrf-off", 15)}


def test_an_application_with_forms_and_a_login_but_no_tokens_is_found_once(tmp_path: Path) -> None:
    source = (
        "from flask import Flask, request, session\napp = Flask(__name__)\n"
        "@app.route('/pay', methods=['POST'])\ndef pay():\n    send(session['user'], request.form['to'])\n"
    )
    assert names_in(tmp_path, {"app.py": source}, "web-csrf-none") == [2]
    protected = source.replace("app = ", "from flask_wtf.csrf import CSRFProtect\napp = ")
    assert names_in(tmp_path, {"app.py": protected}, "web-csrf-none") == []
