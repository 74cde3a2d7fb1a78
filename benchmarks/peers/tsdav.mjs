// CPU of fetching all of a calendar's objects: node tsdav.mjs MODULE URL
const [module, url] = process.argv.slice(2);
const { fetchCalendarObjects } = await import(module);
const authorization = `Basic ${btoa("a00000@icloud.com:abcd-efgh-ijkl-mnop")}`;
const before = process.cpuUsage();
const found = await fetchCalendarObjects({
  calendar: { url: `${url}a00000/calendars/cal0/` },
  headers: { authorization },
});
const { user, system } = process.cpuUsage(before);
console.log(JSON.stringify({ cpu: (user + system) / 1000, count: found.length }));
