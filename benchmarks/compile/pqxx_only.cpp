// What a program pays for libpqxx alone: the measure that ten_records.cpp is held against.
#include <pqxx/pqxx>
