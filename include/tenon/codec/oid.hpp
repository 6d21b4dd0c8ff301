// Object ids of PostgreSQL's built-in types.
//
// Fixed by the server's own catalog data (src/include/catalog/pg_type.dat) and the same in every database.
#pragma once

#include <cstdint>

namespace tenon {

/// Object id of a type in the server's catalog; 0 means "let the server infer it".
using oid = std::uint32_t;

namespace oids {

inline constexpr oid boolean = 16, bytea = 17, name = 19, int8 = 20, int2 = 21, int4 = 23, text = 25;
inline constexpr oid json = 114, xml = 142, float4 = 700, float8 = 701, unknown = 705;
inline constexpr oid cidr = 650, inet = 869, bpchar = 1042, varchar = 1043, date = 1082, time = 1083;
inline constexpr oid timestamp = 1114, timestamptz = 1184, interval = 1186, numeric = 1700, uuid = 2950;
inline constexpr oid tsvector = 3614, jsonb = 3802, int4range = 3904, numrange = 3906, tsrange = 3908;
inline constexpr oid tstzrange = 3910, daterange = 3912, int8range = 3926, int4multirange = 4451;
inline constexpr oid nummultirange = 4532, tsmultirange = 4533, tstzmultirange = 4534, datemultirange = 4535;
inline constexpr oid int8multirange = 4536;

inline constexpr oid boolean_array = 1000, bytea_array = 1001, int2_array = 1005, int4_array = 1007;
inline constexpr oid text_array = 1009, int8_array = 1016, float4_array = 1021, float8_array = 1022;
inline constexpr oid cidr_array = 651, inet_array = 1041, timestamp_array = 1115, date_array = 1182;
inline constexpr oid time_array = 1183, timestamptz_array = 1185, interval_array = 1187, numeric_array = 1231;
inline constexpr oid uuid_array = 2951, tsvector_array = 3643, json_array = 199, jsonb_array = 3807;
inline constexpr oid int4range_array = 3905, numrange_array = 3907, tsrange_array = 3909, tstzrange_array = 3911;
inline constexpr oid daterange_array = 3913, int8range_array = 3927, int4multirange_array = 6150;
inline constexpr oid nummultirange_array = 6151, tsmultirange_array = 6152, tstzmultirange_array = 6153;
inline constexpr oid datemultirange_array = 6155, int8multirange_array = 6157;

} // namespace oids
} // namespace tenon
