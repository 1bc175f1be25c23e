"""The page behind nginx, below a path (`web.md` 3, point 12)."""

import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from select import select
from typing import Any

import pytest

NGINX = shutil.which("nginx")
CONFIGURATION = """
daemon off; pid {root}/pid; error_log {root}/errors;
events {{ worker_connections 64; }}
http {{
    access_log off;
    client_body_temp_path {root}; proxy_temp_path {root};
    fastcgi_temp_path {root}; uwsgi_temp_path {root}; scgi_temp_path {root};
    server {{
        listen 127.0.0.1:{port};
        location /x/y/ {{
            proxy_pass {origin}/;
            proxy_set_header Host $http_host;
            proxy_set_header Connection "";
            proxy_http_version 1.1;
        }}
    }}
}}
"""


@pytest.fixture
def nginx(stage: Any, short_path: Path) -> Iterator[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    file = short_path / "nginx.conf"
    file.write_text(CONFIGURATION.format(root=short_path, port=port, origin=stage.server.origin))
    process = subprocess.Popen([str(NGINX), "-c", str(file), "-e", str(short_path / "errors")])
    for _ in range(500):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                break
        select([], [], [], 0.02)
    yield f"http://127.0.0.1:{port}"
    process.terminate()
    process.wait(10)


@pytest.mark.skipif(NGINX is None, reason="no nginx: on Debian, apt-get install nginx-light")
def test_the_page_works_behind_nginx_below_a_path(stage: Any, nginx: str) -> None:
    from playwright.sync_api import expect

    stage.server.origin = nginx  # what the page may ask
    page = stage.page(url=f"{nginx}/x/y/ui/#token={stage.server.token}")
    stage.new_session(page)
    stage.prompt(page, "Hello behind nginx")
    expect(page.locator(".message.assistant")).to_contain_text("You said: Hello behind nginx")
    expect(page.locator(".session-head .facts")).to_contain_text("done")


@pytest.mark.skipif(NGINX is None, reason="no nginx: on Debian, apt-get install nginx-light")
def test_the_docs_work_behind_nginx_below_a_path(stage: Any, nginx: str) -> None:
    from playwright.sync_api import expect

    stage.server.origin = nginx
    page = stage.page(url=f"{nginx}/x/y/v1/docs/#token={stage.server.token}", wait=False)
    expect(page.locator(".route").first).to_be_visible()
    page.locator("#metrics_health > summary").click()
    expect(page.locator("#metrics_health pre")).to_contain_text(f'curl "{nginx}/x/y/v1/health"')
