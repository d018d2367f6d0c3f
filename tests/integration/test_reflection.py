#!/usr/bin/python3
"""What reflection tells of a running courtroll-logd, as a tool that knows no schema asks for it.

COURTROLL_BIN names the directory of the built programs.
"""
import os
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support/python"))

from logd import Logd

try:
    import grpc
    from rpc import Rpc, append_reply, append_request, field, fields
except ImportError:
    grpc = None
try:
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
except ImportError:
    descriptor_pb2 = None

PACKAGES = ("grpc.reflection.v1", "grpc.reflection.v1alpha")
FILE_BY_FILENAME, FILE_CONTAINING_SYMBOL, EXTENSION, EXTENSION_NUMBERS, LIST_SERVICES = 3, 4, 5, 6, 7
FILES, SERVICES, ERROR = 4, 6, 7  # fields of a response
NOT_FOUND = 5


@unittest.skipIf(grpc is None, "python3-grpcio is not installed")
class Reflection(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.log = Logd()
        cls.addClassCleanup(cls.log.close)
        cls.rpc = Rpc(cls.log.grpc)
        cls.addClassCleanup(cls.rpc.channel.close)

    def ask(self, *requests, package=PACKAGES[0]):
        """The responses to requests of one stream, each as a dict by field number."""
        method = self.rpc.channel.stream_stream(f"/{package}.ServerReflection/ServerReflectionInfo")
        responses = list(method(iter(requests), timeout=20))
        self.assertEqual(len(responses), len(requests))
        found = [dict(fields(response)) for response in responses]
        for request, response in zip(requests, found):
            self.assertEqual(response[2], request)
        return found

    def file(self, number, name):
        """The one FileDescriptorProto of the answer."""
        (response,) = self.ask(field(number, name))
        ((_, file),) = fields(response[FILES])
        return file

    def services(self, package):
        (response,) = self.ask(field(LIST_SERVICES, b"*"), package=package)
        return [dict(fields(service))[1].decode() for _, service in fields(response[SERVICES])]

    def test_services_are_listed_under_both_packages(self):
        for package in PACKAGES:
            self.assertEqual(
                sorted(self.services(package)),
                [
                    "courtroll.v1.Log",
                    "grpc.health.v1.Health",
                    "grpc.reflection.v1.ServerReflection",
                    "grpc.reflection.v1alpha.ServerReflection",
                ],
            )

    def test_every_service_listed_has_a_file(self):
        for service in self.services(PACKAGES[0]):
            self.assertIn(
                service.rpartition(".")[2].encode(),
                self.file(FILE_CONTAINING_SYMBOL, service.encode()),
            )

    def test_file_of_the_log_declares_append(self):
        file = self.file(FILE_CONTAINING_SYMBOL, b"courtroll.v1.Log")
        self.assertEqual(file, self.file(FILE_BY_FILENAME, b"courtroll/v1/log.proto"))
        declared = fields(file)
        self.assertEqual(dict(declared)[1], b"courtroll/v1/log.proto")
        self.assertEqual(dict(declared)[2], b"courtroll.v1")
        (service,) = [value for number, value in declared if number == 6]
        methods = [dict(fields(value))[1] for number, value in fields(service) if number == 2]
        self.assertIn(b"Append", methods)

    def test_what_is_not_there_is_not_found_and_the_stream_goes_on(self):
        requests = [
            field(FILE_BY_FILENAME, b"courtroll/v1/none.proto"),
            field(FILE_CONTAINING_SYMBOL, b"courtroll.v1.None"),
            field(EXTENSION, field(1, b"courtroll.v1.Log") + field(2, 100)),
            field(EXTENSION_NUMBERS, b"courtroll.v1.AppendRequest"),
        ]
        *failed, last = self.ask(*requests, field(LIST_SERVICES, b""))
        for response in failed:
            self.assertEqual(dict(fields(response[ERROR]))[1], NOT_FOUND)
        self.assertIn(SERVICES, last)

    def test_bytes_that_are_no_request_are_refused_and_hurt_nobody(self):
        for request in (b"\xff" * 10, b"\x3a\x7f", b"\x0a\xff\xff\xff\xff\x0f", b"h" * 5000):
            with self.assertRaises(grpc.RpcError) as caught:
                self.ask(request)
            self.assertEqual(caught.exception.code(), grpc.StatusCode.INVALID_ARGUMENT)
        self.assertTrue(self.rpc.is_serving())

    @unittest.skipIf(descriptor_pb2 is None, "python3-protobuf is not installed")
    def test_a_client_can_be_made_of_what_is_told(self):
        """Builds the schema from reflection alone, and appends with it."""
        pool = descriptor_pool.DescriptorPool()
        for service in self.services(PACKAGES[0]):
            file = self.file(FILE_CONTAINING_SYMBOL, service.encode())
            parsed = descriptor_pb2.FileDescriptorProto.FromString(file)
            self.assertEqual(list(parsed.dependency), [])
            pool.Add(parsed)
        method = pool.FindMethodByName("courtroll.v1.Log.Append")
        factory = message_factory.MessageFactory(pool)
        request = factory.GetPrototype(method.input_type)(entries=[b"by reflection"])
        self.assertEqual(request.SerializeToString(), append_request([b"by reflection"]))
        reply = self.rpc.call("/courtroll.v1.Log/Append", request.SerializeToString())
        read = factory.GetPrototype(method.output_type).FromString(reply)
        self.assertEqual(read.entries[0].leaf_hash, append_reply(reply)[0].leaf_hash)
        stream = pool.FindMethodByName("courtroll.v1.Log.GetEntries")
        self.assertTrue(stream.containing_service.full_name == "courtroll.v1.Log")


if __name__ == "__main__":
    unittest.main(verbosity=2)
