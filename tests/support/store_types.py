"""The types that a store holds, by the names that the page of views gives them."""

from __future__ import annotations

from dualgauge.stores.serving import types

TYPES = (*types._PLAIN, "DECIMAL(p,s)", "ENUM", "LIST", "STRUCT")

LONGEST = 'STRUCT(b INTEGER, "a c" VARCHAR, deep STRUCT("x""y, z(" DOUBLE[], t TIMESTAMP))'

# Type as DESCRIBE writes it -> values as DuckDB expressions. Every row of the table is here, every edge that it has.
VALUES: dict[str, list[str]] = {
    "BOOLEAN": ["true", "false"],
    "TINYINT": ["-128", "0", "127"],
    "SMALLINT": ["-32768", "32767"],
    "INTEGER": ["-2147483648", "2147483647"],
    "BIGINT": ["-9223372036854775808", "-1", "0", "9223372036854775807"],
    "UTINYINT": ["0", "255"],
    "USMALLINT": ["65535"],
    "UINTEGER": ["4294967295"],
    "UBIGINT": ["0", "9223372036854775807"],
    "HUGEINT": ["-9223372036854775808", "0", "9223372036854775807"],
    "UHUGEINT": ["0", "9223372036854775807"],
    "FLOAT": ["0.1", "-1.5", "3.4028234e38", "1e-45", "'inf'", "'-inf'"],
    "DOUBLE": ["0.1", "1e308", "-5e-324", "0.30000000000000004", "'inf'", "'-inf'", "2.0", "9007199254740993"],
    "VARCHAR": [
        "''", "'it''s \"quoted\" ; -- %s ? :x'", "'a' || chr(0) || 'b'", "'🚆 é e\u0301'", "'  '",
        "'1.50'", "'NULL'",
    ],
    "UUID": ["'6f9619ff-8b86-d011-b42d-00c04fc964ff'", "'ffffffff-ffff-ffff-ffff-ffffffffffff'"],
    "JSON": ["'{\"b\":1,\"a\":[null,\"x\",1.5,true]}'", "'null'", "'\"text\"'", "'[]'"],
    "BLOB": ["''", "'\\x00\\xFF\\x27'"],
    "DATE": ["'0001-01-01'", "'1969-12-31'", "'2024-02-29'", "'9999-12-31'"],
    "TIME": ["'00:00:00'", "'23:59:59.999999'"],
    "TIMESTAMP": [
        "'0001-01-01'", "'1969-12-31 23:59:59.999999'", "'2024-02-29 12:00:00.000001'",
        "'9999-12-31 23:59:59.999999'",
    ],
    "TIMESTAMP_S": ["'2024-02-29 12:00:01'"],
    "TIMESTAMP_MS": ["'2024-02-29 12:00:01.001'"],
    "TIMESTAMP WITH TIME ZONE": [
        "'0001-01-01 00:00:00+00'", "'2024-03-31 02:30:00.123456+02'",
        "'9999-12-31 23:59:59.999999+00'",
    ],
    "DECIMAL(4,2)": ["0.00", "-99.99", "0.10"],
    "DECIMAL(15,0)": ["999999999999999", "-999999999999999"],
    "DECIMAL(15,15)": ["0.123456789012345", "-0.999999999999999"],
    "DECIMAL(18,3)": ["999999999999.999", "-0.001"],
    "DECIMAL(38,2)": ["9999999999999.99", "-12.30"],
    "DECIMAL(38,20)": ["0.00000999999999999999", "-0.00000000000000000001", "0"],
    "DECIMAL(38,38)": ["0.00000000000000000000000999999999999999"],
    "ENUM('a', 'it''s')": ["'a'", "'it''s'"],
    "INTEGER[]": ["[]", "[1, NULL, 3]"],
    "INTEGER[3]": ["[1, NULL, 3]"],
    "VARCHAR[]": ["['NaN', 'Infinity', '\"NaN\"', '\\', 'é' || chr(0)]"],
    "DOUBLE[]": ["[0.1, 1e308, NULL]"],
    "DECIMAL(38,10)[]": ["[12345678901234567890.0123456789]"],
    "HUGEINT[]": ["[170141183460469231731687303715884105727]"],
    "TIMESTAMP WITH TIME ZONE[]": ["['2024-03-31 02:30:00.123456+02'::TIMESTAMPTZ]"],
    "ENUM('a', 'b, c')[]": ["['b, c']"],
    "STRUCT(b INTEGER, a VARCHAR)": ["{'b': 1, 'a': 'x'}", "{'b': NULL, 'a': NULL}"],
    LONGEST: ["{'b': 1, 'a c': 'x', 'deep': {'x\"y, z(': [1.5], 't': TIMESTAMP '2024-01-01 00:00:00.5'}}"],
}  # fmt: skip
