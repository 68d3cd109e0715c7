-- The five limits of HttpArena.
local limits = { 5, 10, 20, 35, 50 }
local count = 0

request = function()
    count = count + 1
    return wrk.format("GET", "/async-db?min=10&max=50&limit=" .. limits[count % #limits + 1])
end
