"""Confluent's Python client against a registry: every call that its users make, with what they rely on.

The address is the only argument. Ends with a count of the steps, or with the first one that went wrong.
"""

import json
import sys
from importlib.metadata import version

from confluent_kafka.schema_registry import (
    ConfigCompatibilityLevel, Schema, SchemaReference, SchemaRegistryClient, SchemaRegistryError, ServerConfig)
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
from confluent_kafka.serialization import MessageField, SerializationContext

client = SchemaRegistryClient({"url": sys.argv[1]})
fresh = lambda: SchemaRegistryClient({"url": sys.argv[1]})
steps = 0


def same(found, expected, what):
    global steps
    steps += 1
    assert found == expected, f"{what}: {found!r} instead of {expected!r}"


def refused(code, call, *arguments, **options):
    try:
        call(*arguments, **options)
    except SchemaRegistryError as error:
        same(error.error_code, code, call.__name__)
        same(error.http_status_code, int(str(code)[:3]), call.__name__)
        assert error.error_message, call.__name__
    else:
        raise AssertionError(f"{call.__name__} was not refused")


def record(*fields):
    return json.dumps({"type": "record", "name": "Order", "namespace": "shop", "fields": list(fields)}, indent=2)


ID = {"name": "id", "type": "int"}
NOTE = {"name": "note", "type": ["null", "string"], "default": None}
NEEDED = {"name": "needed", "type": "string"}
one, two, bad = (Schema(record(*fields), "AVRO") for fields in ([ID], [ID, NOTE], [ID, NEEDED]))

same(client.get_subjects(), [], "no subjects")
same(client.register_schema("orders-value", one), 1, "first id")
same(fresh().register_schema("orders-value", one, normalize_schemas=False), 1, "idempotent")
same(client.register_schema("orders-value", two), 2, "second id")
refused(409, fresh().register_schema, "orders-value", bad)
same(client.test_compatibility("orders-value", bad), False, "test_compatibility")
same(client.test_compatibility("orders-value", two, version=1), True, "test_compatibility of a version")
same(client.test_compatibility_all_versions("orders-value", bad, verbose=True), False, "of all versions")
same(client.get_subjects(), ["orders-value"], "subjects")
same(client.get_subjects(subject_prefix="x"), [], "subjects by prefix")
same(client.get_versions("orders-value"), [1, 2], "versions")
same(json.loads(fresh().get_schema(1).schema_str), json.loads(one.schema_str), "schema by id")
latest = client.get_latest_version("orders-value")
same((latest.version, latest.schema_id, latest.subject), (2, 2, "orders-value"), "latest")
same(client.get_version("orders-value", 1).schema_id, 1, "version")
found = fresh().lookup_schema("orders-value", one)
same((found.version, found.schema_id), (1, 1), "look up")
same([(v.subject, v.version) for v in client.get_schema_versions(1)], [("orders-value", 1)], "versions of an id")
same(client.get_subjects_by_schema_id(1), ["orders-value"], "subjects of an id")
same(client.get_schema_types(), ["AVRO"], "types")
same(client.get_compatibility(), "BACKWARD", "the default level")
client.set_compatibility("orders-value", "NONE")
same(client.get_compatibility("orders-value"), "NONE", "the subject's level")
client.set_config("orders-value", ServerConfig(compatibility=ConfigCompatibilityLevel.FULL))
same(str(client.get_config("orders-value").compatibility_level), "FULL", "settings")
client.delete_config("orders-value")
refused(40408, client.get_compatibility, "orders-value")
same(client.get_global_mode(), "READWRITE", "mode")
client.update_mode("orders-value", "READONLY")
same(client.get_mode("orders-value"), "READONLY", "the subject's mode")
refused(42205, fresh().register_schema, "orders-value", Schema(record(ID, NOTE, dict(NOTE, name="more")), "AVRO"))
client.update_mode("orders-value", "READWRITE")
refused(40401, fresh().get_versions, "nobody")
refused(40402, fresh().get_version, "orders-value", 9)
refused(40403, fresh().get_schema, 99)
refused(42201, fresh().register_schema, "orders-value", Schema("{", "AVRO"))
refused(42201, fresh().register_schema, "orders-value", Schema("{}", "JSON"))

# A slash in a subject, and references.
same(client.register_schema("a/b c", Schema('"string"', "AVRO")), 3, "an odd subject")
order = SchemaReference("shop.Order", "orders-value", 2)
basket = json.dumps({"type": "record", "name": "Basket", "fields": [{"name": "orders", "type": {"type": "array", "items": "shop.Order"}}]})
refers = Schema(basket, "AVRO", [order])
same(client.register_schema("baskets-value", refers), 4, "with a reference")
same(fresh().get_schema(4).references[0].subject, "orders-value", "the reference")

# Records: written with one client, read with another that knows nothing but the address.
context = SerializationContext("baskets", MessageField.VALUE)
value = {"orders": [{"id": 7, "note": "hello"}, {"id": 8, "note": None}]}
framed = AvroSerializer(client, refers)(value, context)
same(framed[:5], bytes([0, 0, 0, 0, 4]), "the frame")
same(AvroDeserializer(fresh())(framed, context), value, "round trip")
reader = record(ID, NOTE, {"name": "added", "type": "int", "default": 5})
written = AvroSerializer(client, two)({"id": 1, "note": "n"}, SerializationContext("orders", MessageField.VALUE))
read = AvroDeserializer(fresh(), reader)(written, SerializationContext("orders", MessageField.VALUE))
same(read, {"id": 1, "note": "n", "added": 5}, "read with a newer schema")

refused(42206, client.delete_version, "orders-value", 2)
same(client.delete_version("orders-value", 1), 1, "delete a version")
refused(40407, client.delete_version, "orders-value", 2, permanent=True)
same(client.delete_version("orders-value", 1, permanent=True), 1, "for good")
same(client.delete_subject("baskets-value"), [1], "delete a subject")
same(client.get_subjects(deleted=True), ["a/b c", "baskets-value", "orders-value"], "deleted subjects")
same(client.delete_subject("baskets-value", permanent=True), [1], "for good, after a deletion")
print(f"confluent-kafka {version('confluent-kafka')}: all steps passed: {steps}")
