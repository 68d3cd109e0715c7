## The contract on Nim's asynchttpserver, with the accept loop of its documentation.

import std/[asyncdispatch, asynchttpserver, json, nativesockets, os, strutils, times]

var
  date {.threadvar.}: string  # rendered once a second, as the others' is
  second {.threadvar.}: int64

proc dateNow: string =
  let now = getTime()
  if now.toUnix != second:
    second = now.toUnix
    date = now.utc.format("ddd, dd MMM yyyy HH:mm:ss 'GMT'")
  date

proc answer(request: Request, kind, body: string) {.async.} =
  let headers = newHttpHeaders({
    "content-type": kind, "server": "nim", "date": dateNow()})
  await request.respond(Http200, body, headers)

proc contract(request: Request) {.async.} =
  case request.url.path
  of "/plaintext": await request.answer("text/plain", "Hello, World!")
  of "/json": await request.answer("application/json", $(%*{"message": "Hello, World!"}))
  of "/echo": await request.answer("application/octet-stream", request.body)
  else: await request.respond(Http404, "")

proc main {.async.} =
  let address = (if paramCount() > 0: paramStr(1) else: "127.0.0.1:8080").split(':')
  let server = newAsyncHttpServer()
  server.listen(Port(parseInt(address[1])), address[0])
  echo "listening on http://", address[0], ":", server.getPort().int
  flushFile(stdout)
  while true:
    if server.shouldAcceptRequest():
      await server.acceptRequest(contract)
    else:
      await sleepAsync(500)

waitFor main()
