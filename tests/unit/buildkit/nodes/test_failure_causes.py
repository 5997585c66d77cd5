"""The causes of failures, recognized in the output of docker."""

from __future__ import annotations

import pytest

from mpbake.buildkit.nodes.causes import is_no_buildkit, is_refused
from mpbake.buildkit.nodes.failure_causes import explain_engine, hides_missing_engine, ssh_command
from mpbake.buildkit.nodes.node_errors import explain
from mpbake.model.plan import Driver, Node

FAR = Node(builder="x", name="far", driver=Driver.DOCKER_CONTAINER, endpoint="ssh://me@far:2222")
HERE = Node(builder="x", name="here", driver=Driver.DOCKER_CONTAINER)
DOCKER = (
    'error during connect: Get "http://docker.example.com/v1.45/containers/x/json": command [ssh -o ConnectTimeout=30 '
    "-- far docker system dial-stdio] has exited with exit status {code}, please make sure the URL is valid, and "
    "Docker 18.09 or later is installed on the remote host: stderr={output}"
)
DENIED = (
    "permission denied while trying to connect to the Docker daemon socket at unix:///var/run/docker.sock: Get "
    '"http://%2Fvar%2Frun%2Fdocker.sock/v1.45/version": dial unix /var/run/docker.sock: connect: permission denied'
)


@pytest.mark.parametrize(
    ("output", "code", "message"),
    [
        (
            "@@@@\n@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @\nHost key verification failed.\n",
            255,
            "the host key of me@far:2222 has changed (Host key verification failed.)",
        ),
        (
            (
                "No ED25519 host key is known for far and you have requested strict checking.\n"
                "Host key verification failed."
            ),
            255,
            "the host key of me@far:2222 is not known (Host key verification failed.)",
        ),
        (
            "me@far: Permission denied (publickey,password).\r\n",
            255,
            "ssh denies this user access to me@far:2222 (me@far: Permission denied (publickey,password).)",
        ),
        (
            "ssh: connect to host far port 2222: Connection refused",
            255,
            "no ssh server answers at me@far:2222 (ssh: connect to host far port 2222: Connection refused)",
        ),
        (
            "ssh: connect to host far port 22: Connection timed out",
            255,
            "me@far:2222 does not answer (ssh: connect to host far port 22: Connection timed out)",
        ),
        (
            "sh: 1: docker: not found",
            127,
            "the docker command was not found on me@far:2222 (sh: 1: docker: not found)",
        ),
        (DENIED, 1, f"the user on me@far:2222 may not use Docker there ({DENIED})"),
    ],
)
def test_a_machine_behind_ssh(output: str, code: int, message: str) -> None:
    explanation, hint = explain(FAR, DOCKER.format(output=output, code=code))
    assert explanation == message
    assert hint


def test_what_nobody_has_met_yet_is_passed_on() -> None:
    assert explain(FAR, "ERROR: something\nERROR: odd\n") == ("odd", "try: docker -H ssh://me@far:2222 version")
    assert explain(HERE, "odd") == ("odd", "")
    assert explain(HERE, "") == ("", "")


def test_the_engine_in_use() -> None:
    message, hint = explain(HERE, DENIED)
    assert message.startswith("this user may not use Docker (permission denied")
    assert "usermod" in hint


@pytest.mark.parametrize("driver", [Driver.DOCKER_CONTAINER, Driver.KUBERNETES, Driver.REMOTE])
def test_options_that_buildx_does_not_know(driver: Driver) -> None:
    output = f"ERROR: failed to initialize builder x (x0): invalid driver option timeout for driver {driver}"
    assert explain(Node(builder="x", name="n", driver=driver), output) == (
        f"this buildx does not know one of its options ({output.removeprefix('ERROR: ')})",
        "install a newer buildx, or remove that option",
    )
    assert is_refused(output)
    assert not is_refused(DENIED)


@pytest.mark.parametrize(
    ("node", "command"),
    [
        (HERE, "docker unpause b"),
        (FAR, "docker -H ssh://me@far:2222 unpause b"),
        (
            Node(builder="x", name="n", driver=Driver.DOCKER_CONTAINER, endpoint="my ctx"),
            "docker --context 'my ctx' unpause b",
        ),
        (Node(builder="x", name="n", driver=Driver.EXTERNAL, external=True), "docker unpause b"),
    ],
)
def test_a_container_that_somebody_has_paused(node: Node, command: str) -> None:
    output = "Error response from daemon: Container b is paused, unpause the container before exec"
    assert explain(node, output) == (f"its container is paused ({output})", f"resume it: {command}")


PULL = 'Error response from daemon: failed to resolve reference "r.example.com/bk:1": '


@pytest.mark.parametrize(
    ("output", "message"),
    [
        (f"{PULL}r.example.com/bk:1: not found", "the image does not exist"),
        (
            "Error response from daemon: manifest for r.example.com/bk:1 not found: manifest unknown",
            "the image does not exist",
        ),
        (f"{PULL}pull access denied, repository does not exist: no basic auth credentials", "the registry denies"),
        (
            'Error response from daemon: Head "http://r.example.com/v2/x/manifests/1": no basic auth credentials',
            "the registry denies the pull of its image",
        ),
        (
            f'{PULL}failed to do request: Head "https://r.example.com/v2/bk/manifests/1": dial tcp: no such host',
            "the registry of its image cannot be reached",
        ),
        (
            'Error response from daemon: Get "https://r.example.com/v2/": net/http: TLS handshake timeout',
            "the registry of its image cannot be reached",
        ),
    ],
)
@pytest.mark.parametrize("node", [HERE, FAR])
def test_an_image_that_cannot_be_pulled(node: Node, output: str, message: str) -> None:
    explanation, hint = explain(node, output)
    assert explanation.startswith(f"{message}")
    assert explanation.endswith(f"({output})")
    assert 'set image = "…" in the builder' in hint


def test_the_progress_of_a_start_is_no_complaint() -> None:
    cluster = Node(builder="x", name="n", driver=Driver.KUBERNETES)
    progress = "#1 [internal] booting buildkit\n#1 waiting for 1 pods to be ready, timeout: 2 minutes\n#1 DONE 31.2s\n"
    assert explain(cluster, progress) == ("", "")
    assert explain(cluster, f"{progress}ERROR: something odd\n") == ("something odd", "")
    log = "#1 1.52 OCI runtime create failed: no buildctl\n#1 ERROR: exit code 1\nERROR: exit code 1\n"
    assert explain(HERE, log)[0] == "the image is not a BuildKit image (exit code 1)"
    assert is_no_buildkit(explain(HERE, log)[0])


def test_what_is_said_is_safe_to_print() -> None:
    assert "\x1b" not in explain(FAR, "\x1b[2Jodd \x1b")[0]


def test_docker_hides_why_an_engine_behind_ssh_does_not_answer() -> None:
    output = "Cannot connect to the Docker daemon at http://docker.example.com. Is the docker daemon running?"
    assert hides_missing_engine(FAR, output)
    assert not hides_missing_engine(FAR, DOCKER.format(output="x", code=1))
    assert not hides_missing_engine(HERE, output)


@pytest.mark.parametrize(
    ("endpoint", "words"),
    [
        ("ssh://far", ["--", "far", "docker", "version"]),
        ("ssh://me@far:2222", ["-p", "2222", "-l", "me", "--", "far", "docker", "version"]),
    ],
)
def test_ssh_asks_nobody(endpoint: str, words: list[str]) -> None:
    node = Node(builder="x", name="far", driver=Driver.DOCKER_CONTAINER, endpoint=endpoint)
    command = ssh_command(node, "docker", "version")
    assert command == ["ssh", "-o", "BatchMode=yes", "-o", "ConnectTimeout=10", *words]


@pytest.mark.parametrize(
    ("output", "message"),
    [
        (
            "The connection to the server localhost:8080 was refused - did you specify the right host or port?",
            "kubectl has no cluster to talk to",
        ),
        ('error: context "gone" does not exist', "kubectl does not know the context"),
        (
            "Error in configuration: context was not found for specified context: gone",
            "kubectl does not know the context",
        ),
        ("Unable to connect to the server: remote error: tls: bad certificate", "the cluster does not know this user"),
        (
            (
                "Unable to connect to the server: tls: failed to verify certificate: x509: certificate signed by "
                "unknown authority"
            ),
            "the certificate of the cluster cannot be verified",
        ),
        (
            'Error from server (Forbidden): deployments.apps "x" is forbidden: User "me" cannot get resource',
            "this user may not do that in the cluster",
        ),
        ("error: You must be logged in to the server (Unauthorized)", "the cluster does not know this user"),
        ('Error from server (NotFound): namespaces "ci" not found', "the namespace does not exist"),
        ("Unable to connect to the server: dial tcp 10.0.0.9:6443: i/o timeout", "the cluster does not answer"),
        ("ERROR: expected 2 replicas to be ready, got 0", "its pods do not become ready"),
    ],
)
def test_clusters(output: str, message: str) -> None:
    explanation, hint = explain(Node(builder="k", name="n", driver=Driver.KUBERNETES), output)
    assert explanation == f"{message} ({output.removeprefix('ERROR: ')})"
    assert hint


@pytest.mark.parametrize(
    ("output", "hint"),
    [
        ('pods "x" is forbidden: exceeded quota: q, requested: cpu=2', "lower requests, limits or replicas"),
        ('pods "x" is forbidden: violates PodSecurity "baseline:latest"', "use a namespace that allows privileged"),
        ('pods "x" is forbidden: serviceaccount "a" not found', "create it (kubectl create serviceaccount NAME)"),
        ("its Deployment is scaled to 0", "run `mpbake builders up`"),
    ],
)
def test_clusters_that_create_no_pods(output: str, hint: str) -> None:
    explanation, found = explain(Node(builder="k", name="n", driver=Driver.KUBERNETES), output)
    assert explanation == output
    assert found.startswith(hint)


def test_the_progress_of_buildx_is_no_error() -> None:
    output = "#1 waiting for 1 pods to be ready, timeout: 2 minutes\n#1 DONE 31.2s\nERROR: it broke"
    assert explain(Node(builder="k", name="n", driver=Driver.KUBERNETES), output) == ("it broke", "")
    kept = "waiting for 1 pods to be ready, timeout: 2 minutes"
    assert explain(Node(builder="k", name="n", driver=Driver.KUBERNETES), kept) == (kept, "")


@pytest.mark.parametrize(
    ("endpoint", "look"),
    [
        ("kube-pod://nosuch", "kubectl get pod nosuch"),
        ("kube-pod://nosuch?namespace=ci&context=a b", "kubectl --namespace=ci '--context=a b' get pod nosuch"),
    ],
)
def test_a_pod_that_does_not_answer(endpoint: str, look: str) -> None:
    node = Node(builder="x", name="n", driver=Driver.REMOTE, endpoint=endpoint)
    assert explain(node, "#1 ERROR: x\nERROR: context deadline exceeded\n") == (
        "no pod nosuch answers (context deadline exceeded)",
        f"check that the pod and BuildKit in it run; try: {look}",
    )


def test_a_builder_of_others_that_is_not_there() -> None:
    node = Node(builder="Team", name="team", driver=Driver.EXTERNAL, external=True)
    assert explain(node, 'ERROR: no builder "team" found\n') == (
        'no builder "team" found',
        "run `docker buildx ls` to see its name; without external = true, mpbake makes a builder",
    )


@pytest.mark.parametrize(
    ("output", "message", "hint"),
    [
        (
            DOCKER.format(code=255, output="ssh: Could not resolve hostname far: Name or service not known"),
            "unknown host far (ssh: Could not resolve hostname far: Name or service not known)",
            "check the name in the plan, and in DNS or ~/.ssh/config",
        ),
        (
            'Failed to initialize: unable to resolve docker endpoint: context "x": context not found: open /x: no',
            (
                "the docker context in use does not exist (Failed to initialize: unable to resolve docker endpoint: "
                'context "x": context not found: open /x: no)'
            ),
            "choose another: docker context use NAME, and unset DOCKER_CONTEXT; docker context ls lists them",
        ),
        (
            "Failed to initialize: unable to resolve docker endpoint: invalid bind address format: foo://bar",
            (
                "DOCKER_HOST is not the address of an engine (Failed to initialize: unable to resolve docker endpoint: "
                "invalid bind address format: foo://bar)"
            ),
            "set it to unix:///PATH, tcp://HOST:PORT or ssh://HOST, or unset it",
        ),
    ],
    ids=["ssh", "context", "address"],
)
def test_the_way_to_the_engine_in_use_is_wrong(output: str, message: str, hint: str) -> None:
    assert explain(HERE, output) == explain_engine(output) == (message, hint)


def test_podman_needs_a_program_that_starts_processes() -> None:
    output = (
        'Error response from daemon: container create: lookup init binary: exec: "catatonit": executable file not '
        "found in $PATH"
    )
    assert explain(HERE, output) == (
        f"podman lacks the program that starts a container's processes ({output})",
        "install catatonit on the machine of the engine: sudo apt-get install catatonit",
    )
