target_sources(brim PRIVATE src/fix/channels.c src/fix/pairing.c)
