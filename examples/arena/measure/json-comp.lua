-- The three pairs of HttpArena, for a client that accepts gzip and br.
local paths = { "25?m=4", "40?m=8", "50?m=6" }
local count = 0

request = function()
    count = count + 1
    wrk.headers["Accept-Encoding"] = "gzip, br"
    return wrk.format("GET", "/json/" .. paths[count % #paths + 1])
end
