"""A local Discord for the real bot: gateway, REST and CDN on loopback, and a web page that looks like a channel.

It runs as its own process (`python -m bot.playground`), so the bot talks to it exactly as it talks to Discord: over
sockets. SimCord's backend holds the world and answers the routes; this package adds the transport, durability, the
refusals SimCord lacks, and the page.

```
page, Person ──HTTP/WebSocket──▶ page_api ──▶ interactions ─┐
                                    ▲ hub                    ▼
bot ──REST──▶ rest ──▶ refusals ──▶ simcord routes ──▶ LocalDiscord (state) ──▶ records (SQLite), cdn (files)
bot ◀─gateway────────────────────────── gateway ◀── events ──┘
```
"""
