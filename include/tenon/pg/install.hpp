// tenon's own tables.
#pragma once

namespace tenon {

class transaction;

/// Creates the schema `tenon` with the tables and functions that elections stand on, or what of it is missing; nothing
/// happens when all is there. Callers may race. The role needs CREATE on the database the first time; others need
/// `grant usage on schema tenon` and rights on its tables.
/// Throws usage_error unless the transaction is READ COMMITTED; what a failing statement throws.
void install(transaction& tx);

} // namespace tenon
