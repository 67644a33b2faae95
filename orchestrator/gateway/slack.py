"""POST /slack/interactions: what people click in Slack. Slack's signature takes the place of an API key."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from orchestrator.gateway.endpoint import Endpoint, Parameter
from orchestrator.gateway.parts import Parts
from orchestrator.slack.interactions import Interactions

PATH = "/slack/interactions"


def routes(parts: Parts) -> list[Route]:
    """The one endpoint that Slack knows; without a signing secret it lets nobody in."""
    slack = parts.settings.slack
    interactions = Interactions(
        bus=parts.bus,
        signing_secret=slack.signing_secret,
        api_url=slack.api_url,
        start=parts.background.start,
    )

    async def take(request: Request) -> Response:
        status = await interactions.take(
            await request.body(),
            timestamp=request.headers.get("x-slack-request-timestamp"),
            signature=request.headers.get("x-slack-signature"),
        )
        return Response(status_code=status)

    return [
        Endpoint(
            PATH,
            take,
            method="POST",
            scope=None,
            summary="A click on a card in Slack, as Slack sends it: a form whose field `payload` is JSON.",
            errors={
                400: "signed, but not what Slack sends",
                401: "signature or time is wrong, or no signing secret is set",
                503: "too many clicks at once",
            },
            parameters=(
                Parameter(
                    name="X-Slack-Request-Timestamp", about="seconds since 1970, within 300 s", place="header"
                ),
                Parameter(
                    name="X-Slack-Signature",
                    about="v0= and HMAC-SHA256 of v0:timestamp:body with the signing secret",
                    place="header",
                ),
            ),
        )
    ]
