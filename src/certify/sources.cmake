target_sources(brim PRIVATE src/certify/certify.c src/certify/json.c src/certify/layer.c)
