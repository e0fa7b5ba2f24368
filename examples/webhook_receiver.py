#!/usr/bin/env python3
"""Receives coupon's webhooks with Python's standard library: verifies each, keeps it once, and only then answers.

    WEBHOOK_SECRETS='whsec_...' webhook_receiver.py FILE [PORT]

FILE gets a line for each event, its id and its CloudEvents document, in the order of arrival. Several secrets, with spaces between,
are for their exchange. PORT is on 127.0.0.1 and 8080 by default; 0 takes a free one, which is printed.
"""
import base64, hashlib, hmac, http.server, json, os, sys, threading, time

TOLERANCE = 5 * 60  # seconds that the clocks of sender and receiver may differ
LONGEST = 1 << 20   # bytes of a body


class Kept:
    """The events on disk. An answer may be lost, so an event may come again: its id tells."""

    def __init__(self, path):
        self.lock, self.file = threading.Lock(), open(path, "a+b")
        self.file.seek(0)
        lines = self.file.read().splitlines(keepends=True)
        if lines and not lines[-1].endswith(b"\n"):  # the power went while it was written, and it was not answered
            self.file.truncate(sum(map(len, lines[:-1])))
            lines.pop()
        self.ids = {line.split(b" ", 1)[0].decode() for line in lines}

    def keep(self, event_id, body):
        line = f"{event_id} {json.dumps(json.loads(body))}\n".encode()
        with self.lock:
            if event_id not in self.ids:
                self.file.write(line)
                self.file.flush()
                os.fsync(self.file.fileno())
                self.ids.add(event_id)


def is_signed(secrets, headers, body):
    event_id, timestamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    if not event_id or " " in event_id or not (timestamp.isascii() and timestamp.isdigit()):
        return False
    if abs(time.time() - int(timestamp)) > TOLERANCE:
        return False
    message = f"{event_id}.{timestamp}.".encode() + body
    mine = ["v1," + base64.b64encode(hmac.new(secret, message, hashlib.sha256).digest()).decode() for secret in secrets]
    theirs = headers.get("webhook-signature", "").split(" ")
    return any(hmac.compare_digest(a.encode(), b.encode()) for a in mine for b in theirs)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"  # keeps connections open
    timeout = 30

    def do_POST(self):
        length = self.headers.get("content-length", "")
        if not length.isdigit() or int(length) > LONGEST:
            self.close_connection = True
            return self.answer(413)
        body = self.rfile.read(int(length))
        if not is_signed(self.server.secrets, self.headers, body):
            return self.answer(401)
        try:
            self.server.kept.keep(self.headers["webhook-id"], body)
        except ValueError:
            return self.answer(400)
        self.answer(204)

    def answer(self, status):
        self.send_response(status)
        if status != 204:
            self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


def main():
    if not 2 <= len(sys.argv) <= 3 or not os.environ.get("WEBHOOK_SECRETS"):
        sys.exit(__doc__)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[2]) if len(sys.argv) == 3 else 8080), Handler)
    server.secrets = [base64.b64decode(s.removeprefix("whsec_")) for s in os.environ["WEBHOOK_SECRETS"].split()]
    server.kept = Kept(sys.argv[1])
    print(f"listening on 127.0.0.1:{server.server_port}", flush=True)
    server.serve_forever()


main()
