"""What is wrong with a structured answer."""


class OffSchemaError(Exception):
    """Raised when an answer is not JSON or does not satisfy the schema.

    Attributes:
        path: where, such as `$.items[0].price`; `$` is the whole answer.
        message: what is wrong there, in words for the model.
    """

    def __init__(self, path: str, message: str) -> None:
        super().__init__(f"at {path}: {message}")
        self.path = path
        self.message = message
