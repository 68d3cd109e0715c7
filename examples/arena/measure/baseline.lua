-- A GET and two POSTs, one of them chunked, in turn.
local requests, count = {}, 0

init = function()
    local text = { ["Content-Type"] = "text/plain", Host = "localhost" }
    requests = {
        wrk.format("GET", "/baseline11?a=13&b=42"),
        wrk.format("POST", "/baseline11?a=13&b=42", text, "20"),
        "POST /baseline11?a=13&b=42 HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
            .. "2\r\n20\r\n0\r\n\r\n",
    }
end

request = function()
    count = count + 1
    return requests[count % 3 + 1]
end
