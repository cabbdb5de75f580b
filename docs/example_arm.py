"""An arm that counts words: `python example_arm.py 8091`."""

import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Arm(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.answer({"status": "healthy"} if self.path == "/health" else {})

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        task = request["task_contract"]
        words = task["goal"].split()
        result = {"words": len(words), "longest": max(words, key=len)}
        self.answer({"task_id": task["task_id"], "success": True, "result": result})

    def answer(self, fields: dict) -> None:
        body = json.dumps(fields).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


if __name__ == "__main__":
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Arm).serve_forever()
