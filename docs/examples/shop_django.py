r"""
A shop's customers over HTTP, as `shop_app.py` serves them, with Django.

    LEDGER=sqlite:////srv/shop/.dualgauge/ledger.db STORE=sqlite:////srv/shop/.dualgauge/views_{side}.db \
        python shop_django.py 8000
"""

import os
import sys
from collections.abc import Callable

from django.conf import settings
from django.core.servers.basehttp import run
from django.core.wsgi import get_wsgi_application
from django.http import Http404, HttpRequest, HttpResponseBase, JsonResponse
from django.urls import path

from dualgauge_router import Router

HEADER = "X-Dualgauge-Decision"

# In a project of several files these two lines stand in `AppConfig.ready`, and the others where they always do.
router = Router(ledger=os.environ["LEDGER"], migration="customers")
reader = router.reader(os.environ["STORE"])


def decide(go_on: Callable[[HttpRequest], HttpResponseBase]) -> Callable[[HttpRequest], HttpResponseBase]:
    """A middleware: keep one decision for the whole request, and follow that of a service that asks us."""

    def answered(request: HttpRequest) -> HttpResponseBase:
        unit, email = request.headers.get("X-Tenant"), request.headers.get("X-Email")
        with router.pinned(unit, {"email": email}, header=request.headers.get(HEADER)) as decision:
            answer = go_on(request)
        answer.headers[HEADER] = decision.header
        return answer

    return answered


def show(request: HttpRequest, name: str) -> JsonResponse:
    """One customer."""
    row = reader.get("customers", name, unit=request.headers.get("X-Tenant"), timeout=0.5)
    if row is None:
        raise Http404
    return JsonResponse(row)


def counts(_: HttpRequest) -> JsonResponse:
    """What came of this process's reads."""
    return JsonResponse(router.counts())


urlpatterns = [path("customers/<name>", show), path("counts", counts)]

if __name__ == "__main__":
    settings.configure(ROOT_URLCONF=__name__, MIDDLEWARE=[f"{__name__}.decide"], ALLOWED_HOSTS=["127.0.0.1"])
    run("127.0.0.1", int(sys.argv[1]), get_wsgi_application(), threading=True)
