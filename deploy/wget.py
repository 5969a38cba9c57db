"""Enough of wget for probes: `wget --quiet --tries=1 --timeout=4 --spider http://localhost:8080/healthz`.

Asks for the headers of one http URL. Exits 0 for an answer below 400, 8 for any other answer, 4 where none comes, and 2 where the
command line asks for anything else, as GNU wget does. Imports little, because it is started every few seconds.
"""

import socket
import sys

VALUED = ("-T", "--timeout", "-t", "--tries")
IGNORED = ("-q", "--quiet", "--spider", "-nv", "--no-verbose", "--no-check-certificate")


def main(arguments: list[str]) -> int:
    """Run one probe and return the exit code."""
    timeout, url, words = 10.0, "", list(arguments)
    while words:
        name, equals, value = words.pop(0).partition("=")
        if name in VALUED:
            value = value if equals else words.pop(0) if words else ""
            if name in ("-T", "--timeout"):
                timeout = float(value)
        elif name.startswith("http://"):
            url = name + equals + value
        elif name not in IGNORED:
            return usage(f"cannot do {name}")
    if "--spider" not in arguments or not url:
        return usage("needs --spider and an http:// URL")
    return probe(url.removeprefix("http://"), timeout)


def probe(location: str, timeout: float) -> int:
    """Ask for the headers of `host:port/path`."""
    authority, _, path = location.partition("/")
    host, _, port = authority.rpartition(":") if ":" in authority else (authority, "", "80")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout) as connection:
            connection.settimeout(timeout)
            connection.sendall(f"HEAD /{path} HTTP/1.1\r\nHost: {authority}\r\nConnection: close\r\n\r\n".encode())
            status = connection.makefile("rb").readline(256).split()
    except OSError as error:
        sys.stderr.write(f"wget: {authority}: {error}\n")
        return 4
    answered = len(status) > 1 and status[0].startswith(b"HTTP/") and status[1].isdigit()
    return 8 if not answered or int(status[1]) >= 400 else 0


def usage(problem: str) -> int:
    """Say what is not understood."""
    sys.stderr.write(f"wget (of flagger-py): {problem}\n")
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
