"""A TCP proxy that can be cut, slowed and stopped.

    with Proxy(log.grpc) as proxy:
        proxy.address                  # "127.0.0.1:PORT"
        proxy.cut()                    # every connection is reset
        proxy.is_down = True           # new ones are, too
        proxy.delay = 0.05             # seconds before each piece
        proxy.is_silent = True         # nothing passes, and nobody is told
        proxy.target = "127.0.0.1:..." # of new connections
"""
import socket
import struct
import threading
import time

PIECE = 16 * 1024


class Proxy:
    def __init__(self, target):
        self.target, self.delay, self.is_down, self.is_silent = target, 0, False, False
        self._lock = threading.Lock()
        self._sockets = set()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = "127.0.0.1:%d" % self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.is_down = True
        self._listener.close()
        self.cut()

    def cut(self):
        with self._lock:
            sockets, self._sockets = self._sockets, set()
        for one in sockets:
            self._reset(one)

    @staticmethod
    def _reset(one):
        try:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            one.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        one.close()

    def _accept(self):
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            if self.is_down:
                self._reset(near)
                continue
            host, port = self.target.rsplit(":", 1)
            try:
                far = socket.create_connection((host, int(port)), timeout=5)
            except OSError:
                self._reset(near)
                continue
            far.settimeout(None)
            with self._lock:
                self._sockets |= {near, far}
            for source, sink in ((near, far), (far, near)):
                threading.Thread(target=self._pass, args=(source, sink), daemon=True).start()

    def _pass(self, source, sink):
        try:
            while piece := source.recv(PIECE):
                while self.is_silent:
                    time.sleep(0.02)
                if self.delay:
                    time.sleep(self.delay)
                sink.sendall(piece)
        except OSError:
            pass
        for one in (source, sink):
            self._reset(one)
            with self._lock:
                self._sockets.discard(one)
