"""Connection settings of registry hosts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mpbake.buildkit.registry.hosts import Hosts, HostSettings, proxy_for, registry_settings

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("registry", "config", "url"),
    [
        ("docker.io", "", "https://registry-1.docker.io"),
        ("r.example.com", "", "https://r.example.com"),
        ("r.example.com:5000", "", "https://r.example.com:5000"),
        ("localhost:5000", "", "http://localhost:5000"),
        ("127.0.0.9:5000", "", "http://127.0.0.9:5000"),
        ("[::1]:5000", "", "http://[::1]:5000"),
        ("localhost:5000", '[registry."localhost:5000"]\nhttp = false', "https://localhost:5000"),
        ("r:5000", '[registry."r:5000"]\nhttp = true', "http://r:5000"),
        ("r:5000", '[registry."r:5000"]\nhttp = "yes"\ninsecure = 1', "https://r:5000"),
        ("r:5000", "[registry]\nx = 1", "https://r:5000"),
        ("r:5000", "registry = 1", "https://r:5000"),
        ("r:5000", "not TOML", "https://r:5000"),
    ],
)
def test_the_url_of_a_registry(registry: str, config: str, url: str) -> None:
    endpoint = Hosts(environment={}, settings=registry_settings([config])).endpoint(registry)
    assert (endpoint.url, endpoint.proxy, endpoint.tls.insecure) == (url, "", False)


def test_what_a_builder_says_of_a_registry() -> None:
    text = """
        [registry.r]
        http = false
        insecure = true
        ca = ["/a.crt"]
        keypair = [{ cert = "/c.crt", key = "/k.key" }, { cert = "/other.crt" }, 1]
        """
    settings = registry_settings(["", text, '[registry.r]\nca = ["/z.crt"]'])
    pairs = (("/c.crt", "/k.key"),)
    assert settings == {"r": HostSettings(http=False, insecure=True, authorities=("/a.crt",), pairs=pairs)}


def test_certificates_of_docker_and_of_the_environment_count(tmp_path: Path) -> None:
    folder = tmp_path / ".config/docker/certs.d/r:5000"
    folder.mkdir(parents=True)
    for name in ("b.crt", "a.crt", "c.cert", "c.key", "x.txt"):
        (folder / name).touch()
    hosts = Hosts(environment={"HOME": str(tmp_path), "SSL_CERT_FILE": "/ca.pem", "SSL_CERT_DIR": "/certs:/more"})
    tls = hosts.endpoint("r:5000").tls
    assert tls.authorities == (f"{folder}/a.crt", f"{folder}/b.crt")
    assert tls.pairs == ((f"{folder}/c.cert", f"{folder}/c.key"),)
    assert (tls.system_file, tls.system_folder) == ("/ca.pem", "/certs")
    assert hosts.other("https://auth.example.com/token?x=1").url == "https://auth.example.com"


@pytest.mark.parametrize(
    ("url", "excluded", "is_used"),
    [
        ("https://r.example.com", "", True),
        ("https://localhost:5000", "", False),
        ("https://127.0.0.1", "", False),
        ("https://r.example.com", "*", False),
        ("https://r.example.com", "example.com", False),
        ("https://r.example.com", ".example.com", False),
        ("https://r.example.com", "*.example.com", False),
        ("https://example.com", ".example.com", True),
        ("https://rexample.com", "example.com", True),
        ("https://r.example.com", "other.com, R.example.com", False),
        ("https://r.example.com:5000", "r.example.com:5000", False),
        ("https://r.example.com:5000", "r.example.com:5001", True),
        ("https://r.example.com", "r.example.com:443", False),
        ("https://10.1.2.3", "10.0.0.0/8", False),
        ("https://10.1.2.3", "10.1.2.3", False),
        ("https://11.1.2.3", "10.0.0.0/8", True),
    ],
)
def test_which_hosts_are_asked_through_a_proxy(url: str, excluded: str, *, is_used: bool) -> None:
    environment = {"HTTPS_PROXY": "http://proxy:3128", "no_proxy": excluded}
    assert proxy_for(url, environment) == ("http://proxy:3128" if is_used else "")


def test_a_proxy_is_for_its_scheme() -> None:
    assert proxy_for("http://r", {"HTTPS_PROXY": "http://proxy"}) == ""
    assert proxy_for("http://r", {"http_proxy": "http://small", "HTTP_PROXY": "http://large"}) == "http://large"
