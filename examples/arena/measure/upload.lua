-- 500 kB.
local upload

init = function()
    upload = wrk.format("POST", "/upload", nil, ("x"):rep(500 * 1024))
end

request = function()
    return upload
end
