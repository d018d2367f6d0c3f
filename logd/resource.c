#include "logd/resource.h"

#include "base/alloc.h"

struct resource *resource_new(const struct tile_path *path, struct span bytes)
{
    struct resource *resource = mem_alloc(sizeof *resource + bytes.len);
    resource->next = NULL;
    resource->path = *path;
    resource->len = bytes.len;
    memcpy(resource->bytes, bytes.data, bytes.len);
    return resource;
}

void resource_free_all(struct resource *resources)
{
    while (resources != NULL) {
        struct resource *next = resources->next;
        mem_free(resources);
        resources = next;
    }
}
