"""The service as a process: its command line, and what it does when it is told to stop."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

import lookalike
from lookalike.cli.serving import serve
from lookalike.demo import write_gallery
from tests.support.commands import be_command, run
from tests.support.forked_programs import Program
from tests.support.http_service import TOKEN


@pytest.fixture(scope="module")
def gallery(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("gallery") / "photos"
    write_gallery(folder, per_kind=1)
    with lookalike.create(folder) as collection:
        collection.add(folder)
    return folder


@contextmanager
def served(folder: Path, *options: str, **variables: str) -> Iterator[tuple[Program, str]]:
    """The program with a free port, and the address that it has printed."""
    arguments = ("serve", str(folder), "--port", "0", *options)
    with Program(be_command, *arguments, env={**os.environ, **variables}) as process:
        try:
            line = process.stdout.readline()
            found = re.fullmatch(r"Serving 12 images at (http://\S+)/ \(Ctrl-C stops it\)\n", line)
            assert found, line + process.stderr.read()
            yield process, found[1]
        finally:
            process.kill()


def wait_until_ready(address: str) -> None:
    for _ in range(200):
        if httpx.get(f"{address}/ready").status_code == 200:
            return
        time.sleep(0.05)
    raise AssertionError("not ready")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_request_that_is_under_way_is_answered_before_the_end(gallery: Path, number: signal.Signals) -> None:
    """Half of its body is there when the signal comes; a connection without a request is closed."""
    data = next(gallery.rglob("*.jpg")).read_bytes()
    with served(gallery) as (process, address):
        wait_until_ready(address)
        port = int(address.rpartition(":")[2])
        idle = socket.create_connection(("127.0.0.1", port))
        connection = socket.create_connection(("127.0.0.1", port), timeout=10)
        head = f"POST /v1/search HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: image/jpeg\r\nContent-Length: {len(data)}"
        connection.sendall(head.encode() + b"\r\n\r\n" + data[:1000])
        time.sleep(1)  # for the service to read what has come
        process.send_signal(number)
        begun = time.monotonic()
        time.sleep(0.3)
        connection.sendall(data[1000:])
        answer = b""
        while part := connection.recv(65536):
            answer += part
        assert answer.startswith(b"HTTP/1.1 200 ")
        assert b'"score":1.0' in answer
        assert process.wait(30) == 0
        assert time.monotonic() - begun < 20
        with pytest.raises(OSError, match="refused"):
            socket.create_connection(("127.0.0.1", port))
        idle.close()
        connection.close()
        assert process.stderr.read() == ""


def test_a_client_that_never_ends_does_not_keep_it_from_ending(gallery: Path) -> None:
    with served(gallery) as (process, address):
        wait_until_ready(address)
        connection = socket.create_connection(("127.0.0.1", int(address.rpartition(":")[2])))
        connection.sendall(b"POST /v1/search HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: image/png\r\n")
        connection.sendall(b"Content-Length: 100000\r\n\r\n")
        time.sleep(1)  # for the service to read what has come
        process.send_signal(signal.SIGTERM)
        begun = time.monotonic()
        assert process.wait(15) == 0
        assert time.monotonic() - begun < 10
        connection.close()


def test_clients_that_vanish_do_not_end_it(gallery: Path) -> None:
    """The second write to a connection that is closed would end a program that does not ignore the signal for that."""
    with served(gallery) as (process, address):
        wait_until_ready(address)
        for _ in range(50):
            with socket.create_connection(("127.0.0.1", int(address.rpartition(":")[2]))) as connection:
                connection.sendall(b"nonsense\r\n\r\n")  # which is answered in three parts
        assert httpx.get(f"{address}/health").status_code == 200
        assert process.returncode is None


def refused(folder: Path, *options: str) -> str:
    code, out, err = run("serve", folder, *options, cwd=folder)
    assert (code, out) == (2, "")
    return err


def test_another_address_without_a_token_is_refused_with_the_reason(gallery: Path) -> None:
    assert "give a token as well, or listen on 127.0.0.1" in refused(gallery, "--host", "0.0.0.0")


def test_what_cannot_be_served_is_refused(gallery: Path, tmp_path: Path) -> None:
    def message(*options: str) -> str:
        with pytest.raises(lookalike.LookalikeError) as error:
            serve.main([*options], standalone_mode=False)
        return str(error.value)

    folder, empty = str(gallery), tmp_path / "empty"
    empty.write_text("\n")
    assert "16 to 512" in message(folder, "--token", "short")
    assert "cannot be read (No such file" in message(folder, "--token-file", str(tmp_path / "none"))
    assert "give a token" in message(folder, "--host", "0.0.0.0", "--token-file", str(empty))
    assert "there is no collection" in message(str(tmp_path))
    assert "not both" in message(folder, "-c", folder)


def test_without_the_extra_the_message_says_what_to_install(gallery: Path) -> None:
    program = "import sys; sys.modules['fastapi'] = None; from lookalike.cli.main import main; main()"
    done = subprocess.run([sys.executable, "-c", program, "serve", str(gallery)], capture_output=True, text=True)
    assert done.returncode == 1
    assert 'pip install "lookalike[server]"' in done.stderr
    assert "Traceback" not in done.stderr


def test_a_port_that_is_taken_is_told(gallery: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        message = refused(gallery, "--port", str(other.getsockname()[1]))
    assert "cannot listen there (Address already in use); give" in message
    assert "give another port" in message


@pytest.mark.parametrize("way", ["file", "variable", "option"])
def test_the_token_is_given_in_a_file_or_a_variable(gallery: Path, tmp_path: Path, way: str) -> None:
    file = tmp_path / "token"
    file.write_text(f"{TOKEN}\n")
    options = {"file": ["--token-file", str(file)], "option": ["--token", TOKEN]}.get(way, [])
    variables = {"LOOKALIKE_TOKEN": TOKEN} if way == "variable" else {}
    with served(gallery, "--host", "0.0.0.0", *options, **variables) as (_, address):
        assert address.startswith("http://127.0.0.1:")
        assert httpx.get(f"{address}/v1/info").status_code == 401
        right = {"Authorization": f"Bearer {TOKEN}"}
        assert httpx.get(f"{address}/v1/info", headers=right).json()["images"] == 12
