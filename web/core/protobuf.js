// Protobuf wire format, restricted to one encoding: ascending fields, packed scalars, no defaults, shortest varints. What
// was understood is written again by the caller and compared with what was read.

import { concat } from "./bytes.js";
import { require } from "./refused.js";

// A schema is { number: [name, type] } with type "int", "bytes", "packed", a schema, or one of these in an array when it
// is repeated.

function putVarint(value) {
    const bytes = [];
    let left = value;
    while (left > 127n) {
        bytes.push(Number(left & 127n) | 128);
        left >>= 7n;
    }
    return Uint8Array.from([...bytes, Number(left)]);
}

function putData(number, data) {
    return concat(putVarint(BigInt((number << 3) | 2)), putVarint(BigInt(data.length)), data);
}

function encodeOne(number, type, value) {
    if (type === "int") {
        return value === 0n ? new Uint8Array() : concat(putVarint(BigInt(number << 3)), putVarint(value));
    }
    if (type === "packed") {
        return value.length === 0 ? new Uint8Array() : putData(number, concat(...value.map(putVarint)));
    }
    if (Array.isArray(type)) {
        return concat(...value.map((one) => putData(number, type[0] === "bytes" ? one : encode(one, type[0]))));
    }
    if (type === "bytes") {
        return value.length === 0 ? new Uint8Array() : putData(number, value);
    }
    return putData(number, encode(value, type));
}

export function encode(message, schema) {
    const parts = Object.entries(schema)
        .filter(([, [name]]) => message[name] !== undefined)
        .map(([number, [name, type]]) => encodeOne(Number(number), type, message[name]));
    return concat(...parts);
}

class Reader {
    constructor(bytes) {
        this.bytes = bytes;
        this.at = 0;
    }

    varint() {
        let value = 0n;
        for (let shift = 0n; ; shift += 7n) {
            require(this.at < this.bytes.length && shift < 70n, "record: ends inside a number");
            const byte = this.bytes[this.at++];
            value |= BigInt(byte & 127) << shift;
            if (byte < 128) {
                require(value < 2n ** 64n, "record: a number of more than 64 bits");
                return value;
            }
        }
    }

    data() {
        const length = this.varint();
        require(length <= BigInt(this.bytes.length - this.at), "record: ends inside a field");
        this.at += Number(length);
        return this.bytes.subarray(this.at - Number(length), this.at);
    }
}

function decodeNumbers(bytes) {
    const reader = new Reader(bytes);
    const numbers = [];
    while (reader.at < bytes.length) {
        numbers.push(reader.varint());
    }
    return numbers;
}

// Leniently. Members that are not there are left out.
export function decode(bytes, schema) {
    const message = {};
    const reader = new Reader(bytes);
    while (reader.at < bytes.length) {
        const key = reader.varint();
        const found = schema[Number(key >> 3n)];
        const isInt = (key & 7n) === 0n;
        require(found !== undefined && (isInt || (key & 7n) === 2n), "record: an unknown field");
        const [name, type] = found;
        require(isInt === (type === "int"), "record: a field of another type");
        if (isInt) {
            message[name] = reader.varint();
            continue;
        }
        const data = reader.data();
        if (Array.isArray(type)) {
            message[name] = [...(message[name] ?? []), type[0] === "bytes" ? data : decode(data, type[0])];
        } else if (type === "packed") {
            message[name] = decodeNumbers(data);
        } else {
            message[name] = type === "bytes" ? data : decode(data, type);
        }
    }
    return message;
}
