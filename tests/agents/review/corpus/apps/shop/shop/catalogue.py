"""Pages that everybody sees: list, search, product, reviews."""

from flask import Blueprint, abort, current_app, make_response, redirect, render_template, request, send_from_directory, url_for
from markupsafe import Markup, escape

from shop import repository
from shop.security import banner_of_the_day, check_csrf, current_user, login_required

catalogue = Blueprint("catalogue", __name__)

BANNERS = ["spring.png", "shipping.png", "vouchers.png"]
STARS_MAX = 5


def page_number() -> int:
    return max(1, request.args.get("page", 1, type=int))


def highlight(text: str, term: str) -> Markup:
    """The text with the term in bold."""
    if not term:
        return escape(text)
    marked = escape(text).replace(escape(term), Markup("<b>") + escape(term) + Markup("</b>"))
    return Markup(marked)


def breadcrumbs(*names: str) -> Markup:
    links = [f'<li class="crumb">{name}</li>' for name in names]
    return Markup("<ul>" + "".join(links) + "</ul>")


@catalogue.get("/")
def index():
    products = repository.list_products(request.args.get("sort", "name"), page_number())
    return render_template("index.html", products=products, banner=banner_of_the_day(BANNERS))


@catalogue.get("/search")
def search():
    term = request.args.get("q", "").strip()
    products = repository.search_products(term, page_number())
    return render_template(
        "search.html",
        term=term,
        crumbs=breadcrumbs("Catalogue", f"Search: {term}"),
        products=[(product, highlight(product["name"], term)) for product in products],
    )


@catalogue.get("/product/<sku>")
def product(sku: str):
    found = repository.product_by_sku(sku)
    if found is None:
        abort(404)
    response = make_response(
        render_template("product.html", product=found, reviews=repository.reviews_of(found["id"]))
    )
    response.set_cookie("last_seen", found["sku"], max_age=86400, samesite="Lax", secure=True, httponly=True)
    return response


@catalogue.post("/product/<sku>/reviews")
@login_required
def review(sku: str):
    check_csrf()
    found = repository.product_by_sku(sku)
    if found is None:
        abort(404)
    stars = min(STARS_MAX, max(1, request.form.get("stars", STARS_MAX, type=int)))
    repository.add_review(found["id"], current_user()["id"], stars, request.form.get("body", "")[:2000])
    return redirect(url_for("catalogue.product", sku=sku))


@catalogue.get("/images/<path:name>")
def image(name: str):
    return send_from_directory(current_app.config["UPLOAD_DIR"], name)


@catalogue.get("/theme/<name>")
def theme(name: str):
    """Remember the colours somebody likes."""
    response = redirect(url_for("catalogue.index"))
    if name in ("light", "dark"):
        response.set_cookie("theme", name, max_age=31536000)
    return response
