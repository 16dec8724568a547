// The relay's shim: plays a tip at most once, carries the vendor's words back.
(() => {
	const { src, dataset } = document.currentScript;
	if (window.relay?.shim) {
		if (dataset.ticket && dataset.ticket !== window.relay.ticket) window.relay.connect(dataset);
		return;
	}

	const camkit = {
		find: () => [window.lovense, window.Lovense].find((g) => g?.receiveTip),
		script: () => document.querySelector('script[src*="/model.js"]'),
		listen: () => vendor.addMessageListener(hear),
		play: (tip) => vendor.receiveTip(`${tip.tipper}`, +tip.amount),
		ask: (type) => vendor[type](),
		init: () => vendor.initCamApi(new URL(my.script).searchParams.get("mToken")),
		destroy: () => vendor.destroyCamApi(),
	};

	const base = src.replace(/(\/shim\/[^/]+)?\/shim\.js.*/, "");
	const fns = new Set();
	const kept = new Map();
	const met = new WeakSet();
	const events = [];
	let my = { tries: 0 };
	let served, vendor, ended, told, mine;
	let why = "loading";
	let n = 0;
	let view;

	const safe = (fn, fail) => {
		try {
			return fn();
		} catch (error) {
			return fail?.(error);
		}
	};
	const emit = (type, detail) => {
		for (const [key, fn] of fns) if (key === type || key === "*") safe(() => fn(detail, type), reportError);
	};
	const fail = (code, detail) => emit("error", { code, detail: String(detail) });
	const state = (name) => {
		if (relay.state === name) return;
		relay.state = name;
		emit("state", name);
	};
	const clocks = () => [Date.now(), performance.now()];
	const age = (at) => Math.max(Date.now() - at[0], performance.now() - at[1]);
	const load = (key) => safe(() => localStorage.getItem(key).split(" ")[1]);
	const prune = (keep) => {
		const tips = Object.keys(localStorage).filter((key) => key.startsWith(my.name) && !/g$/.test(localStorage[key]));
		tips.sort((a, b) => (localStorage[a] < localStorage[b] ? 1 : -1));
		for (const key of tips.slice(keep)) if (localStorage[key] < `${Date.now() - 36e5}`) localStorage.removeItem(key);
	};
	const put = (key, value) => {
		const write = () => !localStorage.setItem(key, `${Date.now()} ${value}`);
		kept.set(key, value);
		if (safe(write) || my.own || safe(() => write(prune(200)))) return;
		safe(() => localStorage.removeItem(`journal ${my.name}`));
		my.own = true;
		fail("storage_full");
	};
	const recall = (key) => kept.get(key) ?? load(key)?.replace("calling", "interrupted");
	const local = () => load(`journal ${my.name}`) === my.journal;
	const tell = (ids) => {
		const tips = { __proto__: null };
		for (const id of ids) tips[id] = recall(my.name + id) ?? (my.own || local() ? "unseen" : "interrupted");
		send({ type: "answer", tips });
	};

	const send = (frame) => my.socket?.readyState === 1 && !my.socket.send(JSON.stringify(frame));
	const pass = (event) => {
		const frame = { type: "event", n: ++n, event };
		if (!send(frame) && my.journal) events.push(frame);
	};
	const hear = (event) => {
		if (ended) return;
		const read = () => {
			const json = JSON.stringify(event ?? null);
			if (new Blob([json]).size > 59900) throw new Error("too large");
			return JSON.parse(json);
		};
		const copy = safe(read, (error) => ({ type: safe(() => event.type.substring(0, 99)), error: String(error) }));
		if (copy?.type === "tipQueueStatus") view = copy;
		pass(copy);
		events.splice(0, events.length - 50);
		emit(copy?.type, event);
	};

	const lack = () => (relay.stopped ? "stopped" : vendor && !ended ? "" : why);
	const end = () => {
		ended = true;
		view = null;
		if (vendor) safe(camkit.destroy, reportError);
	};
	const failed = ({ target }) => {
		why = "script failed to load";
		setTimeout(() => target.remove(), 9000);
	};
	const watch = () =>
		safe(() => {
			for (const ws of [my.socket, my.next]) if (ws && age(ws.heard) > ws.max) closed(ws);
			const known = vendor;
			vendor = safe(camkit.find);
			if (ended && vendor !== known) end();
			if (vendor && !met.has(vendor)) safe(() => camkit.listen(met.add(vendor)));
			if (my.script && !relay.stopped) {
				if (vendor) ended &&= !safe(() => [camkit.init()]);
				else {
					const script = camkit.script() ?? document.head.appendChild(document.createElement("script"));
					script.addEventListener("error", failed);
					script.src ||= my.script;
				}
			}
			const why = lack();
			if (why === told || !send({ type: "vendor", ready: !why, why })) return;
			told = why;
			for (const type of why ? [] : ["getToys", "getSettings"]) {
				Promise.resolve(type)
					.then(camkit.ask)
					.then((detail = null) => hear({ type, detail }), String);
			}
		});
	const stand = (model) => {
		mine = model;
		safe(() => sessionStorage.setItem("relay", model));
	};
	const set = (type, flags) => {
		Object.assign(relay, flags);
		if (relay.stopped) end();
		watch();
		emit(type);
	};

	const frames = {
		welcome({ resume, generation, heartbeat, held, stopped, ask, at, vendor }) {
			const ws = my.next;
			my.socket?.close(1000);
			Object.assign(my, { socket: ws, next: null, run: -1, resume, generation });
			my.script = vendor?.script ?? camkit.script()?.src;
			ws.max = 2500 * heartbeat;
			my.zero = clocks().map((now, i) => Math.min(now, ws.zero[i] + 2000) - at * 1000);
			put(`generation ${my.name}`, generation);
			if (ask?.length) tell(ask);
			if (mine) relay.stop();
			else if (stopped) frames.stop();
			else if (relay.stopped) frames.release();
			relay.held = held;
			events.splice(0).forEach(send);
			if (view) pass(view);
			told = null;
			watch();
			state("live");
			frames.uncertain({ tips: [] });
		},
		ask: ({ tips }) => tell(tips),
		tip(tip) {
			const { id, run } = tip;
			const key = my.name + id;
			const ack = (outcome, more) => {
				send({ type: "ack", id, outcome, run, ...more });
				emit("tip", { ...tip, outcome });
			};
			const was = recall(key);
			if (was && !(tip.replay && was === "interrupted")) return ack("duplicate", { was });
			if (relay.held || lack()) my.run = run;
			if (relay.held || lack() || run <= my.run) return ack("not_ready");
			if (load(`generation ${my.name}`) > my.generation) return quit("superseded");
			if (age(my.zero) > (tip.at + tip.ttl) * 1000) return ack("stale");
			put(key, "calling");
			Promise.race([Promise.resolve(tip).then(camkit.play), new Promise((go) => setTimeout(go, 5000))]).then(
				() => ack("played", put(key, "played")),
				(error) => ack("failed", { error: String(error) }, put(key, "failed")),
			);
		},
		uncertain({ tips }) {
			relay.uncertain = tips;
			emit("uncertain", tips);
		},
		ping({ n }) {
			send({ type: "pong", n, hidden: document.hidden });
			my.tries = 0;
			safe(() => prune(1000));
			const [date, steady] = clocks().map((now, i) => now - my.zero[i]);
			if (Math.abs(date - steady) > 2000) dial();
		},
		hold: () => set("hold", { held: true }),
		release() {
			stand("");
			set("release", { held: false, stopped: false });
		},
		stop: () => set("stop", { stopped: true }),
		drain(frame) {
			my.timer = setTimeout(dial, Math.random() * 1000 * frame.in);
		},
	};

	const later = (go, now) => {
		clearTimeout(my.timer);
		my.timer = setTimeout(go, now ? 0 : Math.random() * Math.min(my.tries > 20 ? 3e4 : 3e3, 500 * 2 ** my.tries++));
	};
	const dial = () => {
		const ws = new WebSocket(`${base.replace("http", "ws")}/page`, "relay.v1");
		clearTimeout(my.timer);
		my.next?.close();
		my.next = ws;
		ws.max = 15e3;
		ws.heard = clocks();
		ws.onopen = () => {
			const { journal, resume, ticket } = my;
			ws.zero = clocks();
			watch();
			const storage = local() ? "local" : "memory";
			const vendor = { kit: "camkit", ready: !lack() };
			const proof = resume ? { resume } : { ticket };
			ws.send(JSON.stringify({ type: "hello", ...proof, journal, storage, shim: relay.shim, vendor }));
		};
		ws.onmessage = ({ data }) => {
			ws.heard = clocks();
			watch();
			const frame = safe(() => JSON.parse(data));
			const act = frames[frame?.type];
			if (act && ws === (act === frames.welcome ? my.next : my.socket)) safe(() => act(frame), reportError);
			else relay.stats.unknown++;
		};
		ws.onclose = ({ code, reason }) => closed(ws, code, reason);
	};
	const closed = (ws, code, reason) => {
		if (ws === my.socket) my.socket = null;
		else if (ws === my.next) my.next = null;
		else return;
		ws.close();
		if (my.next) return;
		if (/^40/.test(code)) {
			fail(code, reason);
			return quit(code > 4001 ? "refused" : "superseded");
		}
		if (!my.socket) state("connecting");
		later(/^41/.test(code) ? renew : dial, /^4[13]/.test(code) && !my.tries++);
	};
	const renew = async () => {
		const me = my;
		const { ticketUrl } = my;
		my.resume = my.ticket = null;
		if (!ticketUrl) return emit("ticket");
		const text = await fetch(ticketUrl, { credentials: "include" })
			.then((res) => res.text())
			.catch(String);
		if (me === my && !my.ticket) relay.connect({ ticket: safe(() => JSON.parse(text).ticket) ?? text, ticketUrl });
	};

	const quit = (name) => {
		if (/d$/.test(name)) end();
		clearTimeout(my.timer);
		my.socket?.close(1000);
		my.next?.close(1000);
		my.script = my.socket = my.next = null;
		state(name);
	};
	const open = (free) => {
		my.free = free;
		state("connecting");
		if (!load(`journal ${my.name}`))
			put(`journal ${my.name}`, `j_${crypto.getRandomValues(new Uint32Array(4)).join("")}`);
		my.journal = load(`journal ${my.name}`) ?? kept.get(`journal ${my.name}`);
		events.length = 0;
		dial();
	};
	const part = (name) => {
		quit(name);
		clearInterval(my.tick);
		my.free?.();
		my = { tries: 0 };
	};
	const start = ({ model, ticket, ticketUrl }, steal) => {
		part("waiting");
		if (served && model !== served) {
			end();
			stand("");
			relay.held = relay.stopped = false;
		}
		served = model;
		mine ||= safe(() => sessionStorage.relay === model);
		const name = `relay ${JSON.stringify([base, model])} `;
		const me = { model, ticket, ticketUrl, name, tries: 0, tick: setInterval(watch, 200) };
		my = me;
		navigator.locks
			?.request(name, { steal }, () => me === my && new Promise(open))
			.catch(() => me === my && (me.free ? quit("superseded") : open())) ?? open();
	};

	const relay = {
		shim: "1.0.0",
		state: "idle",
		stats: { unknown: 0 },
		on(type, fn) {
			const key = [type, fn];
			fns.add(key);
			return () => fns.delete(key);
		},
		connect({ ticket, ticketUrl }) {
			const model = safe(() => JSON.parse(atob(ticket.split(".")[0].replace(/-/g, "+").replace(/_/g, "/"))).m);
			relay.ticket = ticket;
			if (model && (model !== my.model || relay.state === "refused")) return start({ model, ticket, ticketUrl });
			if (!model) fail("ticket_unreadable", later(renew));
			else if (!my.ticket && /live|conn/.test(relay.state)) later(dial, true);
			Object.assign(my, { ticket, ticketUrl: ticketUrl ?? my.ticketUrl });
		},
		takeover: () => /waiting|superseded/.test(relay.state) && start(my, true),
		stop() {
			stand(`${served}`);
			frames.stop();
			send({ type: "stop" });
			relay.takeover();
		},
		resume() {
			stand("");
			return send({ type: "release" });
		},
		resolve: (id, as) => send({ type: "resolve", id, as }),
		destroy: () => part("destroyed"),
	};
	window.relay = relay;
	if (dataset.ticket) relay.connect(dataset);
})();
