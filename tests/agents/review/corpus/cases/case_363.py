from fastapi import Depends, FastAPI
from sqlalchemy import create_engine, text
from sqlalchemy.orm import Session, sessionmaker

app = FastAPI()
engine = create_engine("postgresql:///crm")
make_session = sessionmaker(engine)


def session():
    with make_session() as opened:
        yield opened


def where_clause(field: str) -> str:
    return "{0} = :{0}".format(field)


@app.get("/contacts/{company}")
def contacts(company: str, db: Session = Depends(session)):
    statement = "SELECT name, phone FROM contacts WHERE " + where_clause("company")
    result = db.execute(text(statement), {"company": company})
    return [dict(row) for row in result.mappings()]
