// Boost.JSON, compiled once: the library is used without its binary.
#include <boost/json/src.hpp>
