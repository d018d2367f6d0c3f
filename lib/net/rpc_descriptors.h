/* rpc_descriptors.h -- the protobuf schema files that this build was made with, as bytes.
 *
 * Each is a google.protobuf.FileDescriptorProto in static memory; the build puts them into the
 * library as one FileDescriptorSet. Pure. Any thread.
 */
#ifndef NET_RPC_DESCRIPTORS_H
#define NET_RPC_DESCRIPTORS_H

#include "base/span.h"

/* The file of that name, such as "courtroll/v1/log.proto"; false when there is none. */
bool rpc_descriptors_file(struct span name, struct span *out);

/* The file that declares `symbol`, a full name without a leading dot: a service or its method, a
 * message, its field or oneof, an enum or its value. False when there is none. Names are a peer's:
 * any bytes of any length. */
bool rpc_descriptors_symbol(struct span symbol, struct span *out);

#endif
