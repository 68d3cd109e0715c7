-- The seven pairs of HttpArena.
local paths = { "1?m=3", "5?m=7", "10?m=2", "15?m=5", "25?m=4", "40?m=8", "50?m=6" }
local count = 0

request = function()
    count = count + 1
    return wrk.format("GET", "/json/" .. paths[count % #paths + 1])
end
