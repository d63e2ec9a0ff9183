"""The application with a page that connects, under the strictest policy, and a way to publish."""

from __future__ import annotations

from app.main import create_app as create
from strongback.app import Strongback
from strongback.realtime import Realtime
from strongback.web import Response

POLICY = (
    "default-src 'none'; script-src 'self'; connect-src 'self'; require-trusted-types-for 'script';"
    " trusted-types 'none'"
)
PAGE = """<!doctype html><title>live</title>
<script src="/static/strongback/vendor/centrifuge.js"></script><script src="/probe.js"></script>"""
SCRIPT = """
window.shown = [];
window.violations = [];
document.addEventListener('securitypolicyviolation',
  (event) => window.violations.push(event.violatedDirective + ' ' + event.blockedURI));
function show(text) {
  window.shown.push(text);
  document.title = text;
}
window.start = (url, token) => {
  const client = new Centrifuge(url, { token });
  client.on('connected', () => show('connected'));
  client.on('publication', ({ data }) => show(data));
  client.connect();
};
"""


def create_app() -> Strongback:
    """Build it."""
    app = create()
    headers = {"Content-Security-Policy": POLICY}
    app.add_url_rule(
        "/probe", "probe", lambda: Response(PAGE, headers=headers, content_type="text/html")
    )
    app.add_url_rule(
        "/probe.js", "probe_js", lambda: Response(SCRIPT, content_type="text/javascript")
    )
    realtime = app.services[Realtime]

    def publish(user_id: int, number: int) -> Response:
        realtime.publish(realtime.personal(user_id), number)
        return Response(b"", 204)

    app.add_url_rule("/probe/<int:user_id>/<int:number>", "probe_publish", publish)
    return app
