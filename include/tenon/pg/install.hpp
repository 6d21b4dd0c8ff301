// tenon's own tables.
#pragma once

namespace tenon {

class transaction;

/// Creates the schema `tenon` with the tables and functions that elections stand on, or what of it is missing; nothing
/// happens when all is there. Callers may race. The role needs CREATE on the database the first time; others need
/// `grant usage on schema tenon` and rights on its tables.
///
/// A schema `tenon` that is there already must belong to the current role, to one that it is a member of, to the
/// database's owner or to a superuser: anybody else could have put code into it that runs as whoever elects. A
/// superuser's being a member of every role does not count.
/// Throws error when it belongs to somebody else; usage_error unless the transaction is READ COMMITTED; what a failing
/// statement throws.
void install(transaction& tx);

} // namespace tenon
